"""What wires over HTTP share.

`provider` is what each of them is, `service` sends requests, `answering` reads answers, `refusals` makes errors.
"""
