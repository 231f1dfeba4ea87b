"""The parts of the test bed: a real Kubernetes (and RabbitMQ) on one machine, for the tests.

Where to begin: `catalogue.py` lists the parts and what each waits for, `bring_up.py` starts them,
`take_down.py` leaves nothing behind. Each other file is one part or one thing they share.
"""
