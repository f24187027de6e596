"""Everything a person reads: figures in words, the terminal, MLflow's descriptions, the HTML reports. Nothing is computed here.

wording, kpi_words, notes     how figures and findings are said, once for all; kpi_words.verdict is the first sentence of each
terminal, descriptions        plain text, and MLflow's Markdown
page, plots                   the kit: one self-contained page and the look of its plots; monitoring's reports use it, too
watch_report, watch_plot      the report of a watch; block_table has its blocks' figures
"""
