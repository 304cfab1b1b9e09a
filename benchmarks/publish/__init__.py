"""From runs to results/, the pages that show it, and whether another's runs are the same."""
