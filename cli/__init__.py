"""What a person types: orders and watches jobs over HTTP, looks after keys, starts the local stack."""
