"""A manifest, row by row: from what people and spreadsheets wrote to typed rows, or to what is wrong."""
