"use strict";
// Draws the figures from the JSON blocks, links marks to rows, and fits the figures to paper before printing.
(() => {
  const PAPER_WIDTH = 680; // A4 less the margins of page.css, in CSS pixels
  const CONFIG = {
    displaylogo: false,
    displayModeBar: innerWidth > 820 ? "hover" : false, // on a narrow screen it would lie on the legend
    responsive: true,
    showSendToCloud: false,
    plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };

  const goToRow = (event) => {
    const row = event.points[0].customdata;
    const target = row == null ? null : document.getElementById(`row-${row}`);
    if (!target) return;
    location.hash = `row-${row}`;
    target.focus({ preventScroll: true });
  };

  const plots = [];
  for (const data of document.querySelectorAll("script[data-plot]")) {
    const figure = JSON.parse(data.textContent);
    const plot = document.getElementById(data.dataset.plot);
    plot.replaceChildren();
    Plotly.newPlot(plot, figure.data, figure.layout, CONFIG);
    plot.on("plotly_click", goToRow);
    plots.push(plot);
  }

  const fit = (plot, width, height) => {
    plot.style.height = `${height}px`;
    Plotly.relayout(plot, { width, height, autosize: width === null });
  };
  const paperHeight = (height) => Math.max(320, Math.round(0.78 * height));
  const heights = plots.map((plot) => plot.layout.height);
  window.addEventListener("beforeprint", () => plots.forEach((plot, i) => fit(plot, PAPER_WIDTH, paperHeight(heights[i]))));
  window.addEventListener("afterprint", () => plots.forEach((plot, i) => fit(plot, null, heights[i])));
})();
