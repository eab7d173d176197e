"""The emotion of the next turn of a conversation."""
