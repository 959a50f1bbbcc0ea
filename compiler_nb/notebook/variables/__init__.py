"""The notebook's variables: what a question may use of them, and what a run leaves in them."""
