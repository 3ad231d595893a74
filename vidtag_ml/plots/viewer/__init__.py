"""The page on which answers are looked at: map and video side by side, in one file, offline.

Belongs here: the page (page.py, view.html, view.css, view.js) and its ground (ground.py). Does not
belong here: pictures for reports (the other modules of plots), which answers are shown
(vidtag_ml.models).
"""
