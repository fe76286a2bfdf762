"""What a person or a program can ask of Batuta."""
