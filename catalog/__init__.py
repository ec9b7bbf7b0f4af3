"""The SQL catalog: products, pictures, stored blocks, imports, jobs and index runs; start with `models`."""
