"""PEFT tuners of ketune's own, registered with peft from outside: what methods are made of.

It knows peft and torch modules. It does not know the pipeline, nor which method of the study uses which tuner.
"""
