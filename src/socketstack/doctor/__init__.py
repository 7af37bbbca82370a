"""What is wrong with a WebSocket API, why, and what to do: before and after it is deployed."""
