-- Whether the controller's clock ran evenly between two exchanges.
ALTER TABLE clock_exchange ADD COLUMN peer_raw_ns INTEGER;
