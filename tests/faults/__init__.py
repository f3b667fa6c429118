"""What must hold whatever fails: hosts that are killed, disks that are full, neighbours that fail, hostile guests."""
