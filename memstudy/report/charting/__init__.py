"""What several charts of the report page are made of: data, marks of methods, lines with bands, lists and sliders.

A chart says what is drawn; the page gives it its size, fonts and theme. Names of methods, settings and layers are
anybody's text: they are values of data, of scales or of lists, and never part of an expression. Columns of data
have names of ours.
"""
