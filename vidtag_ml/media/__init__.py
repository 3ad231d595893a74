"""Pictures and videos; nothing else touches decord or PyAV."""
