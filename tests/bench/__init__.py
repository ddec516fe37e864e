"""`make bench`: what others use and ours, run alternately on the same data on the same servers, as ratios.

A bench is a generator in a module of its own, listed in `BENCHES` of __main__.py: it makes the data of one case, yields
the `Case`, and removes the data when asked for the next.
"""
