"""What does the formula say? Magpie features and a random forest with its uncertainty."""
