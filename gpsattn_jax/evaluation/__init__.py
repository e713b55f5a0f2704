"""What happens after the model, on the host: scores, tables, baselines."""
