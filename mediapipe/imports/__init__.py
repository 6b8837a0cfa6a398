"""What an import knows besides its rows: intents, what is listed of them, and which belongs to which."""
