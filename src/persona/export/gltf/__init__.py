"""glTF 2.0: an avatar as one binary file with skeleton, skin, expressions and motions."""
