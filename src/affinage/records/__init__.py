"""What flows between the rooms: frozen records without I/O. Import them from their own modules."""
