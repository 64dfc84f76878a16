"""What the server itself answers beside gradio: addresses of the page's own, files, compressed text."""
