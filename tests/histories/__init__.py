"""Histories that released versions recorded: today's code must decide on each of them as they did."""
