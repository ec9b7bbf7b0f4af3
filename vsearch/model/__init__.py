"""Networks and what reads their features. Only the modules that build networks, and `ensemble`, import Keras."""
