"""What the bytes of media tell and show, read in a child process of the sandbox: nobody has checked them."""
