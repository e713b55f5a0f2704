"""Videos as sequences of features, with people's opinions of them."""
