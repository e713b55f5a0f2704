"""Files of arrays, whatever they are of: read without running what is in them."""
