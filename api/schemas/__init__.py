"""The forms of bodies and answers, as the API description shows them."""
