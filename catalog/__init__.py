"""The SQL catalog: products, images, stored blocks, imports, jobs and index runs; start with `models`."""
