"""What a saga is: the model, its checks and its graph."""
