"""What wires over HTTP share: `service` sends requests and reads answers, `refusals` turns refusals into errors."""
