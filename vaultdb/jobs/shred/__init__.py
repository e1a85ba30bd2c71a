"""Make values unreadable for ever by destroying their keys, and certify what was done."""
