"""What a comparison found, as text for people and as a document for programs."""
