"""The web application: `twoface web`. A front server (FastAPI), a page without a build step, and worker processes."""
