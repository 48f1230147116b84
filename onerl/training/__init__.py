"""One update, exactly as the paper's."""
