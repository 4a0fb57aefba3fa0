"""What was asked for: values, checked one by one and together."""
