"""ketune: how language models are adapted with few parameters, and what quantum circuits add."""
