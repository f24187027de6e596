"""All output for people: wording of figures, the terminal, MLflow's descriptions, the HTML reports. Computes nothing.

wording, kpi_words, notes     how figures and findings are said, once for all; kpi_words.verdict is the first sentence of each
terminal, descriptions        plain text, and MLflow's Markdown
page, plots                   the kit: one self-contained page and the look of its plots; also used by monitoring's reports
watch_report, watch_plot      the report of a watch; block_table has its blocks' figures, segment_report its segments,
                              why_report why the KPI fell
"""
