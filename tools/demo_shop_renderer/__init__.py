"""Renders the demo shop with Blender: parametric furniture, packshots, shoppers' photos in rooms.

`catalogue` says what there is, as plain data; `staging` plans rooms; `build`, `props` and `rooms` make geometry;
`work` renders what is missing. `python -m demo_shop_renderer --help` starts it, in an environment of its own that has
what requirements.txt names. The product never imports it.
"""
