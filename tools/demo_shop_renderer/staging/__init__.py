"""Where things stand in a room, decided on plain data before anything is built."""
