"""What every tab is built from: components, colours, events, words."""
