"""What bench/run, bench/memory and bench/sink are made of."""
