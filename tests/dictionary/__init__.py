"""A broker that is a dictionary: every capability, and faults on demand. Its own tests are beside it."""
