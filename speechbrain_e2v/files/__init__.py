"""Files written whole, folders with one writer, documents of others."""
