"""How far estimators are from the truth: named sets of simulated scenes, scores, floors and probes."""
