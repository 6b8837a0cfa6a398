"""What a file really is. Nothing here trusts a name, a Content-Type or a header's word about length."""
