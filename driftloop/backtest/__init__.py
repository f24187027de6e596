"""Back-tests every retraining policy on one stream, without a server: compares their KPIs and costs, and recommends one.

Each module imports only those listed after it:

    run                     fit, play, compare, recommend, log
    logged, text            MLflow; the terminal
    plot, words, score      the picture; how figures are written; a policy's figures and costs, and the same number of retrains without a trigger
    from_flags, play        what the flags ask for; one policy, block by block
    fits, policies, outcome every model fitted once; what each policy is; values and arithmetic
"""
