"""What a rollout costs: measured, by formula, raced against another."""
