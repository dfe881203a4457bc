"""The report page: one HTML file of sections, which nothing is loaded into from elsewhere.

    parts     what a page can hold: text, tables, charts, images, commands, and the runs behind them
    document  a page as HTML
    tables    a table's element, and what is told of each of its cells
    charts    a chart's element, and the runtime that draws it
    safety    data in scripts, and what the page may load and run: nothing but itself

`page.html`, `style.css` and `script.js` are what a browser gets. The page knows no analyses: `study.reporting`
collects what they have to show.
"""
