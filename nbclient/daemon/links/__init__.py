"""One configured link, from its start to its end."""
